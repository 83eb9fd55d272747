"""Posting webhook deliveries to the endpoints that subscribed."""
