"""What each page answers, a module a page."""
