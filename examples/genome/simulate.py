"""What a sequencing machine would deliver: a small reference genome, and reads of trees that differ from it a little.

    python3 simulate.py            writes data/reference.fa, data/SAMPLE.fq and data/planted.tsv, always the same

The reads are cut from the sample's genome at random, from either strand, and one base in 300 is read wrong.
"""

import random
from pathlib import Path

SAMPLES = ["ash", "birch", "cedar"]
GENOME = 20_000
READ = 100
COVERAGE = 20
PLANTED = 12
WRONG = 1 / 300
OPPOSITE = str.maketrans("ACGT", "TGCA")


def other(base: str, dice: random.Random) -> str:
    return dice.choice([letter for letter in "ACGT" if letter != base])


def reads(genome: str, dice: random.Random) -> list[str]:
    found = []
    for _ in range(len(genome) * COVERAGE // READ):
        start = dice.randrange(len(genome) - READ)
        read = genome[start : start + READ]
        if dice.random() < 0.5:
            read = read.translate(OPPOSITE)[::-1]
        found.append("".join(other(base, dice) if dice.random() < WRONG else base for base in read))
    return found


def main() -> None:
    data = Path("data")
    data.mkdir(exist_ok=True)
    dice = random.Random("trees")
    reference = "".join(dice.choices("ACGT", k=GENOME))
    lines = [reference[at : at + 60] for at in range(0, GENOME, 60)]
    (data / "reference.fa").write_text("\n".join([">tree", *lines]) + "\n")
    common = sorted(dice.sample(range(READ, GENOME - READ), PLANTED))
    planted = []
    for sample in SAMPLES:
        dice = random.Random(sample)
        genome = list(reference)
        for at in sorted(dice.sample(common, PLANTED // 2)):
            genome[at] = other(reference[at], dice)
            planted.append(f"{sample}\t{at + 1}\t{reference[at]}\t{genome[at]}\n")
        with (data / f"{sample}.fq").open("w") as file:
            for number, read in enumerate(reads("".join(genome), dice), start=1):
                file.write(f"@{sample}.{number}\n{read}\n+\n{'I' * READ}\n")
    (data / "planted.tsv").write_text("".join(planted))


if __name__ == "__main__":
    main()
