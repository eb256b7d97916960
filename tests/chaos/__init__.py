"""The chaos suite: break everything at random while jobs run, then prove that none was lost, doubled or left over.

`make chaos` runs `python -m tests.chaos`; the short form is `test_chaos.py`. Each module says what it adds:
`setting` (services of the suite's own), `scene` (processes that are started again when they die), `people` (jobs),
`faults`, `proof` (what must hold at the end), `report`. docs/chaos.md tells the whole.
"""
