"""The four boards: what is on each, in the order of the golden signals (latency, traffic, errors, saturation).

Invariant: facts about the whole system are taken as their maximum, what processes count of themselves is added up.
"""

from observability.boards.api import API
from observability.boards.business import BUSINESS
from observability.boards.database import DATABASE
from observability.boards.kafka import KAFKA

BOARDS = (API, KAFKA, DATABASE, BUSINESS)
