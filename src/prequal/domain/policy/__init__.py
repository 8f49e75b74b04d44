"""The lender's credit policy: a checked document, and its decision of an application's facts."""
