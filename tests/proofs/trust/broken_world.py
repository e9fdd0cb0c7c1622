"""Defects around the sources: the embedder and the disk."""

from random import Random

from tests.proofs.trust.defect import SHARES, Catalogue, World

around = Catalogue("papers", "2, 8, 25, 60, 100 % of the texts of the night")


@around("another model answers under the same name, with as many dimensions")
def wrong_model(world: World, strength: int, dice: Random) -> None:
    world.endpoint.fail("wrong model", SHARES[strength - 1])


@around("vectors stand at other texts than they were made of")
def vectors_shuffled(world: World, strength: int, dice: Random) -> None:
    world.endpoint.fail("shuffled", SHARES[strength - 1])


@around("one vector for every text")
def vectors_identical(world: World, strength: int, dice: Random) -> None:
    world.endpoint.fail("identical", SHARES[strength - 1])


@around("vectors with NaN in them")
def vectors_nan(world: World, strength: int, dice: Random) -> None:
    world.endpoint.fail("nan", SHARES[strength - 1])


@around("vectors of zeros")
def vectors_zero(world: World, strength: int, dice: Random) -> None:
    world.endpoint.fail("zero", SHARES[strength - 1])


@around("vectors with noise on them, as of a broken quantisation", "noise of 0.05, 0.2, 0.7, 1.5, 4 times the length")
def vectors_noisy(world: World, strength: int, dice: Random) -> None:
    world.endpoint.fail("noisy", (0.05, 0.2, 0.7, 1.5, 4.0)[strength - 1])


@around("half as many dimensions", binary=True)
def wrong_dimension(world: World, strength: int, dice: Random) -> None:
    world.endpoint.fail("half", 1.0)


@around("the embedder does not answer", binary=True)
def embedder_down(world: World, strength: int, dice: Random) -> None:
    world.endpoint.fail("down", 1.0)


@around("the embedder refuses the key", binary=True)
def credential_refused(world: World, strength: int, dice: Random) -> None:
    world.endpoint.fail("refused", 1.0)


@around("no space left on the disk", binary=True)
def disk_full(world: World, strength: int, dice: Random) -> None:
    world.fill_disk = True
