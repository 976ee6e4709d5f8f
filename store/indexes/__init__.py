"""Indexes: tables that answer what the graph of objects cannot without a walk over all of it, made when they are asked.

layout     the tables, and what a row of each is made of
extract    what an object says of others: the ends of a call, the pointers and files of a value
gather     the rows that pages of jobs come to
catch_up   which executions are not in the tables yet, and writing what they come to
index      the questions
opening    the index of a store, up to date
temporary  tables for what may not be kept in the store and is too much for memory
audit      whether the tables have all that they should, and nothing that is not so
forget     what becomes of rows when gc removes what they are about

No run writes any of them: whoever asks a question brings them up to date first, and nothing is lost with them.
"""
