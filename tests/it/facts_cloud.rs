//! Which account and project a command works in, read from the files of AWS's and Google Cloud's command lines.

use gate::policy::Target;
use gate::request::Fact;

use crate::facts::Place;

const CONFIG: &str = "[default]\nregion = eu-west-1\n\n[profile prod]\nsso_account_id = 111122223333\nsso_role_name = admin\n\n\
    [profile role]\nrole_arn = arn:aws:iam::444455556666:role/deploy\nsso_account_id = 111122223333\n";

fn account(place: &Place) -> Fact {
    place.fact("aws_account")
}

fn is(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::Known { values, .. } => values.first().map(String::as_str),
        _ => None,
    }
}

#[test]
fn the_account_is_that_of_the_role_or_of_the_single_sign_on() {
    let place = Place::new().file("home/.aws/config", CONFIG);
    assert_eq!(is(&account(&place)), None, "the default profile does not say");
    let of = |profile: &str| {
        Place::new().file("home/.aws/config", CONFIG).aimed(|target: &mut Target| target.aws_profile = Some(profile.to_owned()))
    };
    assert_eq!(is(&account(&of("prod"))), Some("111122223333"));
    assert_eq!(is(&account(&of("role"))), Some("444455556666"));
    assert!(matches!(account(&of("nobody")), Fact::Unknown(_)));
    let by_variable = Place::new().file("home/.aws/config", CONFIG).with("AWS_PROFILE", "prod");
    assert_eq!(is(&account(&by_variable)), Some("111122223333"));
    let keys = Place::new().file("home/.aws/config", CONFIG).with("AWS_PROFILE", "prod").with("AWS_ACCESS_KEY_ID", "x");
    assert!(matches!(account(&keys), Fact::Unknown(_)), "other credentials belong to no profile");
}

#[test]
fn a_configuration_that_readers_take_differently_is_unknown() {
    for odd in [
        "[profile prod]\nsso_account_id = 111122223333\n[profile prod]\n",
        "[profile prod]\nsso_account_id = 1\n",
        "[profile prod\n",
        "[profile prod]\nnonsense\n",
    ] {
        let place = Place::new().file("home/.aws/config", odd).with("AWS_PROFILE", "prod");
        assert!(matches!(account(&place), Fact::Unknown(_)), "{odd}");
    }
}

#[test]
fn the_project_is_the_options_the_variables_or_the_active_configurations() {
    let project = |place: Place| place.fact("gcp_project");
    let place = || {
        Place::new()
            .file("home/.config/gcloud/active_config", "work")
            .file("home/.config/gcloud/configurations/config_work", "[core]\naccount = ann@example.org\nproject = shop-staging\n")
            .file("home/.config/gcloud/configurations/config_prod", "[core]\nproject = shop-prod\n")
    };
    assert_eq!(is(&project(place())), Some("shop-staging"));
    assert_eq!(is(&project(place().with("CLOUDSDK_ACTIVE_CONFIG_NAME", "prod"))), Some("shop-prod"));
    assert_eq!(is(&project(place().with("CLOUDSDK_CORE_PROJECT", "other"))), Some("other"));
    assert_eq!(is(&project(place().aimed(|target| target.gcp_configuration = Some("prod".to_owned())))), Some("shop-prod"));
    assert_eq!(is(&project(place().aimed(|target| target.gcp_project = Some("named".to_owned())))), Some("named"));
    assert_eq!(project(Place::new()), Fact::Absent);
    assert!(matches!(project(place().with("CLOUDSDK_ACTIVE_CONFIG_NAME", "../x")), Fact::Unknown(_)));
}
