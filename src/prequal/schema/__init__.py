"""The tables: their migrations, the revision that this code expects, and what is kept for how long."""
