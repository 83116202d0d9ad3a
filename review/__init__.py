"""The verification desk: web pages and REST for the readings that people should look at, and what they said.

The only room that knows the web framework and the database.
"""
