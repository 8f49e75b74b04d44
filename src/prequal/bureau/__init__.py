"""The simulated bureau: a process that speaks the protocol of `credit.http_bureau`, for trying out."""
