//! Times the hot parts: `cargo bench -p unisono-tests --bench hot`.

use unisono_tests::hot;

fn main() {
    divan::main();
}

fn names() -> Vec<&'static str> {
    hot::cases().iter().map(|case| case.name).collect()
}

#[divan::bench(args = names())]
fn part(bencher: divan::Bencher<'_, '_>, name: &str) {
    if let Some(case) = hot::cases().into_iter().find(|case| case.name == name) {
        bencher.bench_local((case.make)());
    }
}
