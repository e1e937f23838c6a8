"""Outpost as Lambda functions: real events, AWS's runtime client, processes that are frozen or used once."""
