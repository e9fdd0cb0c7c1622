"""Tables of RTF: cells with their right edges, put on one grid of columns."""

from dataclasses import dataclass, field

from moat.parse.story import MOST_COLUMNS, Cell, table_blocks
from moat.records import Block

NEAR = 60  # twentieths of a point; edges nearer to each other are one


@dataclass
class Place:
    """How a row defines one cell: its right edge, and whether it goes on with one above or on its left."""

    edge: int = 0
    above: bool = False
    left: bool = False


@dataclass
class Table:
    """A table in the making."""

    rows: list[tuple[list[Cell], list[Place]]] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)  # of the row in the making
    cell: Cell = field(default_factory=list)

    def end_cell(self) -> None:
        """End the cell in the making."""
        self.cells.append(self.cell)
        self.cell = []

    def end_row(self, places: list[Place]) -> None:
        """End the row in the making."""
        if self.cell:
            self.end_cell()
        if self.cells:
            self.rows.append((self.cells, places))
        self.cells = []

    def blocks(self) -> list[Block]:
        """The table as blocks, each cell in every column that it covers."""
        self.end_row([])
        edges = list[int]()
        for edge in sorted({place.edge for _, places in self.rows for place in places}):
            if not edges or edge - edges[-1] > NEAR:
                edges.append(edge)
        grid = list[list[Cell]]()
        for cells, places in self.rows:
            row = list[Cell]()
            for at, cell in enumerate(cells):
                place = places[at] if at < len(places) else Place()
                if place.above and not cell and grid and len(row) < len(grid[-1]):
                    cell = grid[-1][len(row)]
                elif place.left and not cell and row:
                    cell = row[-1]
                covered = sum(edge <= place.edge + NEAR for edge in edges) - len(row)
                row += [cell] * max(1, covered if at < len(places) else 1)
            grid.append(row[:MOST_COLUMNS])
        return table_blocks(grid)
