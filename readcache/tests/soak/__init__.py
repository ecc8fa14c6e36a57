"""A soak: random writes, killed writers and faults of Redis, while readers are asked what they see.

``python -m soak --help``, from the folder of the engine's tests, lists the options. All that happens is
drawn from a seed (``schedule``). Writers and readers are processes; between each of them and Redis is a
proxy. The ``oracle`` compares each answer with the writes that were acknowledged before the request
began, and knows nothing of the engine.
"""
