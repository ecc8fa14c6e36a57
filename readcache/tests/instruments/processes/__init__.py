"""Other processes of the library, on the database and the Redis of the test run.

Each module here is the program of a process that a test starts with ``Process``. It tells its
steps in lines and waits at some of them for a line.
"""
