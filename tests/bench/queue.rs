//! What one match costs: an agent gets free, the best item that fits is found, offered and answered, and a new item comes; with
//! so many items waiting and so many agents. `cargo bench --bench queue`; `cordboard bench routing` tells each decision's times.

use cordboard::cli::bench::routing::Centre;

fn main() {
    divan::main();
}

#[divan::bench(args = [(1_000, 100), (10_000, 100), (100_000, 100), (1_000, 1_000), (10_000, 1_000), (100_000, 1_000),
    (1_000, 10_000), (10_000, 10_000), (100_000, 10_000)], sample_count = 50, sample_size = 100)]
fn free_agent_to_next_item(bencher: divan::Bencher, (items, agents): (usize, u32)) {
    let mut centre = Centre::new(agents);
    centre.fill(items);
    bencher.bench_local(|| centre.turn());
}
