"""What runs in the processes of a soak: writes in transactions of every shape, and reads."""
