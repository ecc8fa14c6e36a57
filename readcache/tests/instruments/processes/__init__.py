"""Other processes of the library, on the database and the Redis of the test run.

``Process`` starts one that calls a function of a module here. The function prints its steps in lines,
and waits at some of them for a line.
"""
