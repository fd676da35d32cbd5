use super::*;

fn parse(arguments: &[&str]) -> Result<Command, CliError> {
    command(std::iter::once("unisono-receiver").chain(arguments.iter().copied()).map(Into::into))
}

#[test]
fn a_quality_on_the_command_line_overrides_the_file() {
    let file = std::env::temp_dir().join(format!("unisono-cli-{}.toml", std::process::id()));
    fs::write(&file, "quality = \"high\"\n").expect("written");
    let path = file.to_str().expect("a name");
    for (arguments, quality) in [
        (&["--config", path, "--quality", "slip"][..], Quality::Slip),
        (&["--config", path], Quality::High),
        (&["--quality", "low"], Quality::Low),
        (&[], Quality::Normal),
    ] {
        let Ok(Command::Run(run)) = parse(arguments) else { panic!("{arguments:?}") };
        assert_eq!(run.config.quality, quality, "{arguments:?}");
    }
    fs::remove_file(file).expect("removed");
}

#[test]
fn an_unknown_quality_is_told_with_those_that_there_are() {
    let error = parse(&["--quality", "hihg"]).expect_err("unknown").to_string();
    assert!(error.contains("hihg") && error.contains("high") && !error.contains('\n'), "{error}");
}
