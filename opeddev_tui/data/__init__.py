"""Data files to examples: find the sets of a workspace, read their files, recognize the rows, keep the hold-out apart.

``sets`` finds and reads whole sets, at places (``batch_paths``, ``hub_source``) with splits (``split_names``);
``batches`` brings them together, with the grades that a person corrected (``overlay``, ``corrected_rows``,
``corrections``).
``formats`` reads one place: ``folder_files`` lists it, ``decoding`` gives text, and ``parsing``, ``json_wrappers``,
``csv_rows`` and ``arrow_files`` give ``raw_rows``. ``row_schemas`` makes examples (``rows``) of these: ``columns`` maps
names, ``refusals`` names rows that cannot be used, and ``row_forms``, ``conversations``, ``grading_rows`` and
``optional_fields`` read the others, with grades by ``grade_scale``. ``leakage`` compares training rows with the
hold-out, and ``data_warnings`` notes what a person should know of data that can be used.
"""
