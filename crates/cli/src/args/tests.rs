use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_colour_of_help_follows_the_flag_wherever_it_stands() {
    let of = |arguments: &[&str]| help_color(arguments.iter().map(|one| (*one).to_owned()));
    assert_eq!(of(&["send", "--color", "always", "--help"]), ColorChoice::Always);
    assert_eq!(of(&["--color=never", "--help"]), ColorChoice::Never);
    assert_eq!(of(&["--color=always", "--color", "never"]), ColorChoice::Never);
    assert_eq!(of(&["--help"]), ColorChoice::Auto);
    assert_eq!(of(&["--", "--color=never"]), ColorChoice::Auto);
}
