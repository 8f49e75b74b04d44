"""SQL of the pages, a module a page: each statement walks along an index, and reads a bounded number of rows."""
