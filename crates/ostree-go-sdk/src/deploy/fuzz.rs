//! Entry point of the fuzz target `state`.

use super::state::State;

/// Loads a state file. If it is accepted, its deployments must be the same after saving and loading
/// it again.
pub fn state(bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    let path = folder.path().join("state.json");
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    let Ok(Some(state)) = State::load(&path) else {
        return;
    };
    let active = state.deployments.first().map(|d| d.commit);
    let _ = state.rollback_targets(active);
    assert!(state.save(&path).is_ok());
    match State::load(&path) {
        Ok(again) => assert_eq!(again.unwrap_or_default().deployments, state.deployments),
        Err(error) => panic!("{error}"),
    }
}
