"""redun in IPython and Jupyter: `%load_ext redun`.

extension  what loading it does
display    executions, expressions and files as HTML
progress   how far a run is, below the cell that runs it
"""
