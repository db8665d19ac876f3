"""Files of many shapes: how many rows, how long, in which order, and how often values repeat."""

import random
import subprocess

HEADER = "tracking_number,carrier,sender_address,receiver_address,article_name,article_quantity,article_price,SKU,status\n"
FROM = '"Lindenallee 4, 20095 Hamburg, Germany"'
TO = '"12 Rue de la Paix, 75002 Paris, France"'
# Rows that are written at once.
PART = 10_000


def row(number, carrier="DHL", sender=FROM, receiver=TO, name="Laptop", sku="SKU-1", status="in-transit"):
    return f"{number},{carrier},{sender},{receiver},{name},1,19.90,{sku},{status}\n"


def spread(number):
    """A number that looks random, another for each one below 2^32."""
    return f"TN{number * 2654435761 % (1 << 32):010d}"


def generated(shipments):
    def write(path, binary):
        subprocess.run([binary, "generate", "--shipments", str(shipments), "--seed", "1", "--output", path], check=True)

    return write


def shuffled(shipments):
    def write(path, binary):
        generated(shipments)(path, binary)
        with open(path, encoding="utf-8") as file:
            header, *rows = file
        random.Random(1).shuffle(rows)
        with open(path, "w", encoding="utf-8") as file:
            file.write(header)
            file.writelines(rows)

    return write


def made(count, make):
    def write(path, _):
        with open(path, "w", encoding="utf-8") as file:
            file.write(HEADER)
            for start in range(0, count, PART):
                file.write("".join(make(index) for index in range(start, min(count, start + PART))))

    return write


def text(index, length=40):
    return f"{index * 0x9E3779B97F4A7C15 % (1 << 160):0{length}x}"


def shapes(scale):
    """Names of the shapes, and what writes them; `scale` is 1 for the whole table."""

    def n(count):
        return max(1, int(count * scale))

    def article(index, order):
        return row(spread(order), name=f"Article {index % 1000}", sku=f"SKU-{index % 5000}")

    return {
        "one row": made(1, lambda i: row("TN1")),
        "10,000 generated": generated(n(10_000)),
        "100,000 generated": generated(n(100_000)),
        "1,000,000 generated": generated(n(1_000_000)),
        "the same, compressed": generated(n(1_000_000)),
        "1,000,000 with rows shuffled": shuffled(n(1_000_000)),
        "400,000 of 5 rows, grouped": made(n(400_000) * 5, lambda i: article(i, i // 5)),
        "400,000 of 5 rows, interleaved": made(n(400_000) * 5, lambda i: article(i, i % n(400_000))),
        "1 of 1,000,000 articles": made(n(1_000_000), lambda i: article(i, 1)),
        "1 number of 200,000 carriers": made(n(200_000), lambda i: row("TN1", carrier=f"Carrier {i}")),
        "100,000 of a carrier each": made(n(100_000), lambda i: row(spread(i), carrier=f"Carrier {i}")),
        "20,000,000 tiny": made(n(20_000_000), lambda i: f"{i:x},A,,,,0,0,,\n"),
        "300,000 of long unlike texts": made(
            n(300_000),
            lambda i: row(spread(i), sender=text(4 * i, 60), receiver=text(4 * i + 1, 60), name=text(4 * i + 2), sku=text(4 * i + 3)),
        ),
        "500,000 of a status each": made(n(500_000), lambda i: row(spread(i), status=f"at {i}")),
        "500,000 of a city each": made(n(500_000), lambda i: row(spread(i), receiver=f'"1 Main St, {i:05d} City {i}, USA"')),
        "100,000 of 20 rows, long addresses": made(
            n(100_000) * 20,
            lambda i: row(spread(i // 20), sender=text(i // 20, 160), receiver=text(i // 20 + 1, 160), name=f"Article {i % 1000}"),
        ),
        "1,000,000 of a name and SKU each": made(n(1_000_000), lambda i: row(spread(i), name=f"Name {i}", sku=f"SKU-{i}")),
    }
