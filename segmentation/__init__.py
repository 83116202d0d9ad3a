"""From the bytes of a scan to candidate glyphs: pages, templates, registration, rules, cuts, crops.

Knows neither the model nor Beam.
"""
