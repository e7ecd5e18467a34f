"""Policies as files: read, checked, converted from other formats."""
