"""Scripts: commands of a shell or of any interpreter as jobs, with the files that they read and write."""
