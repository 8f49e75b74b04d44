"""credit-service: takes submitted applications, decrypts the PAN, scores it, and reports the score."""
