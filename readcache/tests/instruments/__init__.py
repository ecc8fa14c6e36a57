"""What the tests look at the engine with, and overlap and break it with."""
