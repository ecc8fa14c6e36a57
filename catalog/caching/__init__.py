"""A read cache for Django REST framework whose answers are never older than an acknowledged write.

It knows Redis, HTTP and the database, and nothing of the app around it. See docs/design.md.
"""
