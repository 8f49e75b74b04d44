"""credit-service: takes submitted applications, opens the PAN, scores it, and tells the report."""
