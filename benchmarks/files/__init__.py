"""What files cost: large directories, and redun beside `make`, doit and Snakemake. See `../README.md`."""
