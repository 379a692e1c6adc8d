"""Bytes to facts, facts to findings, and bytes to the store."""
