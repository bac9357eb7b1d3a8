/* A disk that refuses, for one process: LD_PRELOAD this, and set
   NO_LOCKS=1         fcntl locks fail, as on NFS without a lock daemon;
   NO_SHARED_MEMORY=1 SQLite's -shm files cannot be mapped, as on many network file systems;
   FULL_UNDER=FOLDER  with FULL_FROM=N, the N-th write below FOLDER and all that follow find no space;
                      with COUNT_TO=FILE, their number is written there in the end;
   CLOCK_JUMP_AFTER=S with CLOCK_JUMP_BY=T, the clock of the day jumps by T seconds S seconds after it was first asked. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static atomic_long writes;

static void path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    path[length > 0 ? length : 0] = 0;
}

static int is_full(int fd) {
    const char *folder = getenv("FULL_UNDER"), *from = getenv("FULL_FROM");
    char path[4096];
    if (!folder) return 0;
    path_of(fd, path, sizeof path);
    if (strncmp(path, folder, strlen(folder))) return 0;
    long number = atomic_fetch_add(&writes, 1) + 1;
    return from && number >= atol(from);
}

__attribute__((destructor)) static void report(void) {
    const char *to = getenv("COUNT_TO");
    if (!to) return;
    FILE *file = fopen(to, "w");
    fprintf(file, "%ld", (long)writes);
    fclose(file);
}

#define REAL(name) ((typeof(name) *)dlsym(RTLD_NEXT, #name))
#define FULL(fd) if (is_full(fd)) { errno = ENOSPC; return -1; }

ssize_t write(int fd, const void *buffer, size_t count) { FULL(fd) return REAL(write)(fd, buffer, count); }
ssize_t pwrite(int fd, const void *buffer, size_t count, off_t at) { FULL(fd) return REAL(pwrite)(fd, buffer, count, at); }
ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t at) { FULL(fd) return REAL(pwrite64)(fd, buffer, count, at); }
ssize_t writev(int fd, const void *parts, int count) {
    FULL(fd)
    return ((ssize_t(*)(int, const void *, int))dlsym(RTLD_NEXT, "writev"))(fd, parts, count);
}

static int refused(int command) {
    return getenv("NO_LOCKS") && (command == F_SETLK || command == F_SETLKW || command == F_GETLK
        || command == F_OFD_SETLK || command == F_OFD_SETLKW);
}

int fcntl(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (refused(command)) { errno = ENOLCK; return -1; }
    return ((int (*)(int, int, void *))dlsym(RTLD_NEXT, "fcntl"))(fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (refused(command)) { errno = ENOLCK; return -1; }
    return ((int (*)(int, int, void *))dlsym(RTLD_NEXT, "fcntl64"))(fd, command, argument);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static struct timespec first;
    int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *after = getenv("CLOCK_JUMP_AFTER"), *by = getenv("CLOCK_JUMP_BY");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME && after && by) {
        struct timespec steady;
        real(CLOCK_MONOTONIC, &steady);
        if (!first.tv_sec) first = steady;
        if (steady.tv_sec + steady.tv_nsec / 1e9 - first.tv_sec - first.tv_nsec / 1e9 > atof(after)) now->tv_sec += atol(by);
    }
    return result;
}

static int unmappable(int flags, int fd) {
    char path[4096];
    if (!getenv("NO_SHARED_MEMORY") || !(flags & MAP_SHARED) || fd < 0) return 0;
    path_of(fd, path, sizeof path);
    size_t length = strlen(path);
    return length > 4 && !strcmp(path + length - 4, "-shm");
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    if (unmappable(flags, fd)) { errno = ENODEV; return MAP_FAILED; }
    return REAL(mmap)(at, length, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset) {
    if (unmappable(flags, fd)) { errno = ENODEV; return MAP_FAILED; }
    return REAL(mmap64)(at, length, protection, flags, fd, offset);
}
