"""The lender's credit policy: a checked document, and what it decides of an application's facts."""
