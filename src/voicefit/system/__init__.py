"""What Voicefit needs of the machine: files, the hub, processes, memory, hardware, and how progress is reported."""
