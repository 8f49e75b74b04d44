"""The record of the acts of people and programs."""
