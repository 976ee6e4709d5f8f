"""Files elsewhere, through the libraries of fsspec."""
