"""From the reads of some trees to how their genomes differ, with bwa, samtools and bcftools."""

import shutil

from redun import File, script, task
from redun.file import FileSet
from redun.scripting import sh

redun_namespace = "redun.examples.genome"


@task(cache=False)
def tool(name: str) -> File:
    """The program that a name stands for. Looked up in every run: it may have been replaced, or be another one."""
    path = shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"there is no {name} (Debian: apt install {name})")
    return File(path)


@task()
def index(reference: File, bwa: File, samtools: File) -> list[File]:
    """What bwa and samtools want to have beside the reference."""
    command = sh("{bwa} index {fasta} && {samtools} faidx {fasta}", fasta=reference, bwa=bwa, samtools=samtools)
    made = [File(f"{reference.path}.{suffix}") for suffix in ("amb", "ann", "bwt", "pac", "sa", "fai")]
    return script(command, inputs=[reference, bwa, samtools], outputs=made)


@task()
def align(reads: File, reference: File, indexes: list[File], bwa: File, samtools: File) -> File:
    """Where in the genome each read belongs, in order."""
    sample = reads.basename().removesuffix(".fq")
    command = sh(
        """
        mkdir -p out
        {bwa} mem -R {group} {reference} {reads} | {samtools} sort --no-PG -o {bam} -
        """,
        group=rf"@RG\tID:{sample}\tSM:{sample}", reference=reference, reads=reads,
        bam=f"out/{sample}.bam", bwa=bwa, samtools=samtools,
    )  # fmt: skip
    return script(command, inputs=[reads, reference, indexes, bwa, samtools], outputs=File(f"out/{sample}.bam"))


@task()
def call(bam: File, reference: File, indexes: list[File], bcftools: File, quality: int) -> File:
    """Where the reads say something else than the reference. `--no-version` keeps the date out of the file."""
    vcf = File(bam.path.replace(".bam", ".vcf"))
    command = sh(
        """
        {bcftools} mpileup --no-version -f {reference} {bam} |
            {bcftools} call --no-version --ploidy 1 -mv |
            {bcftools} filter --no-version -i {good} -o {vcf}
        """,
        good=f"QUAL>={quality}", reference=reference, bam=bam, vcf=vcf, bcftools=bcftools,
    )  # fmt: skip
    return script(command, inputs=[bam, reference, indexes, bcftools], outputs=vcf)


@task()
def report(calls: dict[str, File]) -> File:
    """A line for each place where a sample differs."""
    found: dict[tuple[int, str], dict[str, str]] = {}
    for sample, vcf in calls.items():
        for line in vcf.readlines():
            if not line.startswith("#"):
                _, position, _, base, other, *_ = line.split("\t")
                found.setdefault((int(position), base), {})[sample] = other
    table = ["\t".join(["position", "reference", *calls])]
    for (position, base), others in sorted(found.items()):
        table.append("\t".join([str(position), base, *(others.get(sample, ".") for sample in calls)]))
    made = File("out/report.tsv")
    made.write("\n".join(table) + "\n")
    return made


@task()
def main(reads: FileSet = FileSet("data/*.fq"), quality: int = 30) -> File:
    reference = File("data/reference.fa")
    bwa, samtools, bcftools = tool("bwa"), tool("samtools"), tool("bcftools")
    indexes = index(reference, bwa, samtools)
    calls = {}
    for file in reads:
        bam = align(file, reference, indexes, bwa, samtools)
        calls[file.basename().removesuffix(".fq")] = call(bam, reference, indexes, bcftools, quality)
    return report(calls)
