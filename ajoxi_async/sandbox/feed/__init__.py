"""Lets any number of subscribers follow what changes in a world."""
