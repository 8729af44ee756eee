//! A store of accounts whose sum must stay the same, replayed with power cuts. The correct program
//! passes. The one with a mistake is found.
//!
//! `cargo run --example crash_kit --features sim`

#![allow(clippy::print_stdout)]

use genstore::Store;
use genstore::sim::{Left, Outcome, PowerCuts, Report, Violation};

const ACCOUNTS: [&str; 2] = ["accounts/ann", "accounts/bob"];
const SUM: u64 = 100;

/// The balance of an account. It is 0 before the first commit.
fn balance(store: &Store, account: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let snapshot = store.snapshot()?;
    if snapshot.list(account).next().is_none() {
        return Ok(0);
    }
    Ok(String::from_utf8(snapshot.get(account)?)?.parse()?)
}

/// Changes both accounts in one commit.
fn transfer(store: &Store, [ann, bob]: [u64; 2]) -> Outcome {
    let mut tx = store.begin()?;
    tx.put(ACCOUNTS[0], ann.to_string())?;
    tx.put(ACCOUNTS[1], bob.to_string())?;
    tx.commit("transfer")?;
    Ok(())
}

/// The mistake: two commits for one transfer.
fn transfer_in_two(store: &Store, balances: [u64; 2]) -> Outcome {
    for (account, balance) in ACCOUNTS.into_iter().zip(balances) {
        let mut tx = store.begin()?;
        tx.put(account, balance.to_string())?;
        tx.commit("half a transfer")?;
    }
    Ok(())
}

/// The sum is unchanged, and a confirmed transfer is present.
fn check(left: &Left<'_>) -> Outcome {
    let ann = balance(&left.store, ACCOUNTS[0])?;
    let bob = balance(&left.store, ACCOUNTS[1])?;
    if left.reached.is_empty() && ann + bob == 0 {
        return Ok(());
    }
    if ann + bob != SUM {
        return Err(format!("the accounts hold {ann} and {bob}, which is not {SUM}").into());
    }
    if left.reached.iter().any(|step| step == "transferred") && ann != 40 {
        return Err("a confirmed transfer is gone".into());
    }
    Ok(())
}

fn replay(transfer: fn(&Store, [u64; 2]) -> Outcome) -> Result<Report, Violation> {
    PowerCuts::new().replay(
        |machine| {
            let store = machine.start()?;
            transfer(&store, [SUM, 0])?;
            machine.reached("opened");
            transfer(&store, [40, 60])?;
            machine.reached("transferred");
            Ok(())
        },
        check,
    )
}

fn main() -> Outcome {
    let report = replay(transfer)?;
    println!(
        "in one commit: {} operations, {} states, the sum always holds",
        report.operations, report.states
    );
    match replay(transfer_in_two) {
        Ok(_) => Err("the mistake was not found".into()),
        Err(failure) => {
            println!("in two commits: {failure}");
            Ok(())
        }
    }
}
