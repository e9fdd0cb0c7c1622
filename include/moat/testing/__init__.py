"""What a reader, a directory or a rule of your own must keep, as tests to inherit.

`moat.testing.reader.ReaderContract`, `moat.testing.directory.DirectoryContract` and
`moat.testing.rule.RuleContract` are suites for pytest; `moat.testing.plugin` gives its tests a dry run.
"""
