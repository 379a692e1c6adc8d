"""Findings: facts to claims, claims to doubts; pure functions without clock, disk or network."""
