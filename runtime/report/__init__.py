"""`netwright report`: one HTML page about a run, for people, with nothing to load from elsewhere.

    write.py      what the command calls: run -> file
    subject.py    what a run's folder holds, as far as it can be read
    contents.py   which sections a page has, in their order; each objective adds its own
    page.py       the frame around them; page.css
    section.py    what a section is, and what stands for one that a run has nothing for

One file makes one section or a few: header, curves, confusion, mistakes, scatter, network, filters,
gradients, record. They share markup.py (escaped HTML), chart.py and scales.py (SVG), pictures.py
(arrays as images), numbers.py (figures as text), and probe.py, which alone needs torch: it runs the
tested checkpoint over samples.
"""
