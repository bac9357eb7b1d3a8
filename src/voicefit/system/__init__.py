"""Access to the machine: files, the hub, processes, memory, hardware, and callbacks for progress."""
