"""The raw results: a JSON file, written anew after every row, so that a run that was killed loses one row at most."""
import json
import os

from processes import Failed


class Results:
    """Rows by their key, curves of growth, and the configurations that were chosen for peers.

    A file that is there already is gone on with: rows that it has are not measured again, failed ones are. Each row
    remembers the commit of the program that was measured.
    """

    def __init__(self, path, identity, commit):
        self.path, self.identity, self.commit = path, identity, commit
        self.rows, self.growth, self.choices = {}, [], {}
        if path and os.path.exists(path):
            self._read()

    def _read(self):
        try:
            with open(self.path) as file:
                kept = json.load(file)
            earlier = kept["identity"]
            self.rows, self.growth, self.choices = kept["rows"], kept["growth"], kept["choices"]
        except (ValueError, KeyError, TypeError):
            raise Failed(
                f"'{self.path}' is no file of results that this script wrote. Name another with --keep") from None
        different = [name for name in self.identity if self.identity[name] != earlier.get(name)]
        if different:
            pairs = "; ".join(f"{name}: {earlier.get(name)} there, {self.identity[name]} here" for name in different)
            raise Failed(f"'{self.path}' holds rows of another run ({pairs}). Name another file with --keep")

    def write(self):
        if not self.path:
            return
        new = self.path + ".new"
        with open(new, "w") as file:
            whole = dict(identity=self.identity, choices=self.choices, rows=self.rows, growth=self.growth)
            json.dump(whole, file, indent=1)
            file.write("\n")
        os.replace(new, self.path)

    def add(self, key, row):
        self.rows[key] = dict(row, commit=self.commit)
        self.write()

    def has(self, key):
        return key in self.rows and "failed" not in self.rows[key]
