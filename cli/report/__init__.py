"""`redun report`: one execution as a page, a graph, or a trace.

facts      what is told of an execution: its tasks, jobs by columns, failures, reasons
lanes      which bodies ran beside each other
page       the page for a browser, of page.html, page.css and page.js
graphs     the calls between tasks as text for Graphviz and Mermaid
trace      the jobs as Chrome's trace format, which Perfetto reads
command    the command
"""
