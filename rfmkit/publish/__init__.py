"""The way out: run the notebooks, make the page, write the files, and that for many clinics."""
