"""The record of what people and programs did."""
