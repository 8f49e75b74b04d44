"""The console: pages for the people who run the service, decide its policy and watch over it.

It holds no rule of the trade: it calls what the command line calls.
"""
